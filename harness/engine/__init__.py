"""Where trials run: ``local`` in this process, ``ray`` on a pool of workers, ``tune`` through Ray Tune."""
