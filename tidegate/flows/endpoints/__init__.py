"""Endpoints: who serves, and how traffic goes from one deployment to the next and back."""
