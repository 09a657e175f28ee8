"""Chat models of vendors: streams as they are read, requests as they are written, errors as they are meant."""
