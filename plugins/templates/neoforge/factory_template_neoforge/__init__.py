"""NeoForge: FastAPI, SQLAlchemy and a Lit front end."""
