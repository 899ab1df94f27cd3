"""Where trials run: ``local`` in this process without Ray, ``tune`` on a Ray cluster."""
