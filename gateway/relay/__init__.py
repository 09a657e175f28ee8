"""What a data plane needs to route: the table that control pushes, and the choice of a route in it.

It imports nothing but the standard library and the error classes, so that a data plane can do without gRPC.
"""
