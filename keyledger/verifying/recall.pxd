cimport cython

@cython.final
cdef class CachedKey:
    cdef readonly str digits
    cdef readonly bytes digest
    cdef readonly double expires_at
    cdef readonly object high, low
    cdef readonly str code
    cdef readonly bytes packed
    cdef public object answer, key
    cdef public tuple allowed

@cython.final
cdef class Recall:
    cdef public unsigned long long hits
    cdef object _cache, _recorder, _clock, _allows, _answer, _salted
    cdef list _recent
    cdef double[::1] _terms
    cdef dict _by_field
    cdef Py_ssize_t _longest

    @cython.locals(terms="double[::1]", code=str, packed=bytes, recent=dict)
    cpdef decide(self, CachedKey cached, object wanted, object use, double now)

    @cython.locals(cached=CachedKey, digest=bytes, recent=dict)
    cpdef again(self, object field, object wanted, object use)

    cpdef hit(self)

    cpdef keep(self, object field, CachedKey cached, object key)
