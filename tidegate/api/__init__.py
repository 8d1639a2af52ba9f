"""What people ask of an installation, without HTTP: requests as plain values in, answers as plain values out."""
