"""Neural operators whose boundary conditions hold exactly."""
