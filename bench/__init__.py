"""Measurements: what the gateway costs against talking to a provider directly. `make bench` runs them."""
