"""Migrations of the platform tables and their runner."""
