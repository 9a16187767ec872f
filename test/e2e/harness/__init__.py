"""What the end-to-end tests stand on: the real program, real databases and object stores, on free ports."""
