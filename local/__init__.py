"""Azure on one machine: real parts where they exist, stand-ins elsewhere. Imports nothing of the product."""
