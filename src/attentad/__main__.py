"""`python -m attentad`."""

from attentad.cli import main

main()
