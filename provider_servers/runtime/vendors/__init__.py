"""What providers of vendors share: the key, the connection, the requests, and errors as they are meant."""
