cimport cython

cdef class UseJournal:
    cdef readonly unsigned long long mask
    cdef readonly object numbers, low, high
    cdef object _marks, _shed_low, _shed_high, _shed_marks, _shed_counts, _shed, _shed_free

    @cython.locals(marks="unsigned long long[::1]", column="long long[::1]", slot=Py_ssize_t, place=Py_ssize_t)
    cpdef mark(self, object slots, unsigned long long number)

    @cython.locals(
        high="unsigned long long[::1]", marks="unsigned long long[::1]", column="long long[::1]",
        slot=Py_ssize_t, place=Py_ssize_t,
    )
    cpdef clear(self, object slots)
