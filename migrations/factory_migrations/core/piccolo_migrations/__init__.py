"""Migrations of app ``core``. Their names start with the app's and never repeat: Piccolo imports them by bare name."""
