"""The same assertions against each fake and the adapter it stands for, so that the fake cannot drift."""
