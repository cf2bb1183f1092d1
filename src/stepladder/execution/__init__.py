"""Where training happens: runs are sent as text to wherever an executor works, and each is trained in a process there.

``job_queue`` has what is wanted under way on an executor, ``sent_run`` says what is sent and what comes back,
``children`` and ``child`` are the two sides of a process that trains, and ``piece`` is what it does. ``rechecking``
evaluates stored weights again.
"""
