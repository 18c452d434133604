cimport cython

@cython.final
cdef class Taker:
    cdef public bint closed
    cdef public Py_ssize_t crowd
    cdef object _pending, _append, _refuse, _make_room, _clock_ns, _next_slot
    cdef unsigned long long _mask
    cdef unsigned long long[:] _lows, _highs

    @cython.locals(slot=cython.ulonglong)
    cpdef record(self, object high, object low, object outcome, object use)
