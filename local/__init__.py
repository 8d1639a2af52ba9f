"""Azure on one machine: real parts where they exist, stand-ins on the wire where they do not. Imports nothing of the product."""
