cimport cython

@cython.final
cdef class Reader:
    cdef object _again, _proxies
    cdef object _authorization, _header, _request_id, _forwarded
    cdef tuple _scopes
    cdef set _names

    @cython.locals(fields=dict, names=set)
    cpdef known(self, object headers, object peer, object method, object path, object wanted)

    cpdef let_in(self, object scope)

    cpdef use(self, dict fields, object peer, object method, object path)

cpdef mark(object scope, object api_key)
