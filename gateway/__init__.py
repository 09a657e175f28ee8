"""The gateway: control knows who is there, the data plane moves the bytes. They are separate processes."""
