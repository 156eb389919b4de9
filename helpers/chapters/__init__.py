"""One room for each chapter: its exercises, and the figures that only its notebook draws."""
