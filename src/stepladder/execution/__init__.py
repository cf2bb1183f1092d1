"""Where training happens: runs are sent as text to wherever an executor works, and each is trained in a process there.

``job_queue`` has what is wanted under way, and is where a store is written. ``place`` is where it is computed, and
``places`` finds one by its name (``on_dask``, ``on_slurm``). ``sent_run`` says what is sent and what comes back,
``sending`` and ``sent_images`` bring images to machines that have none. ``children`` and ``child`` are the two sides of
a process that trains, and ``piece`` is what it does. ``rechecking`` evaluates stored weights again.
"""
