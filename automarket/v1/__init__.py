"""Stubs of the contract, generated from proto/automarket/v1 by `make proto`. Do not edit."""
