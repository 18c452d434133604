"""Linux's clock that runs on while the machine is suspended, without the arguments that `clock_gettime` takes apart."""

cdef extern from "time.h" nogil:
    ctypedef int clockid_t
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    clockid_t CLOCK_BOOTTIME
    int clock_gettime(clockid_t clock, timespec* moment)


def boottime():
    """Seconds since the machine was started. Raises OSError."""
    cdef timespec moment
    if clock_gettime(CLOCK_BOOTTIME, &moment):
        raise OSError("there is no CLOCK_BOOTTIME")
    return moment.tv_sec + moment.tv_nsec * 1e-9
