"""The flows: each is its states, its events, its commands and one pure function that decides."""
