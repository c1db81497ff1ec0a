"""Keeps every Bitrix24 contact with the owner of its company."""

__version__ = "0.1.0"
