cimport cython

@cython.final
cdef class Pending:
    cdef readonly unsigned long long high, low
    cdef readonly long long moment
    cdef readonly str outcome
    cdef readonly object use
    cdef readonly Py_ssize_t slot

@cython.locals(pending=Pending)
cpdef Pending waiting(
    unsigned long long high, unsigned long long low, long long moment, str outcome, object use, Py_ssize_t slot=*
)

@cython.final
cdef class Intake:
    cdef readonly object waiting
    cdef public bint closed
    cdef public Py_ssize_t crowd

@cython.final
cdef class Taker:
    cdef Intake _intake
    cdef object _append, _refuse, _make_room, _clock_ns, _numbers
    cdef unsigned long long _mask
    cdef unsigned long long[::1] _lows, _highs

    @cython.locals(now=cython.longlong, number=cython.ulonglong, slot=Py_ssize_t, pending=Pending, intake=Intake)
    cpdef record(self, object high, object low, str outcome, object use)

@cython.locals(uses=list)
cpdef list take(object pending, Py_ssize_t most)

@cython.locals(use=Pending, before=Pending, uses=list, found=dict, high=object, low=object)
cpdef dict by_key(list pending)

@cython.locals(use=Pending, column="long long[::1]", place=Py_ssize_t, outcomes=list, requests=list)
cpdef tuple columns(list uses)

@cython.locals(
    column="long long[::1]", place=Py_ssize_t, outcome=str, found=cython.bint,
    first=cython.longlong, last=cython.longlong, moment=cython.longlong,
)
cpdef tuple accepted_span(object moments, list outcomes)

@cython.locals(use=Pending, column="long long[::1]", place=Py_ssize_t, count=Py_ssize_t)
cpdef object slots_of(list uses)
