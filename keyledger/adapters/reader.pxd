cimport cython

@cython.final
cdef class Alike:
    cdef str peer, method, path
    cdef bytes agent
    cdef readonly object use

    cdef bint is_of(self, object peer, object agent, object method, object path)

@cython.final
cdef class Reader:
    cdef object _again, _proxies
    cdef bytes _agent, _authorization, _header, _request_id, _forwarded
    cdef tuple _scopes
    cdef list _alike
    cdef Alike _latest
    cdef Py_ssize_t _last
    cdef bint _shares_names

    @cython.locals(listed=list)
    cpdef known(self, object headers, object peer, object method, object path, object wanted)

    @cython.locals(request=dict)
    cpdef let_in(self, object scope)

    cpdef use(self, dict fields, object peer, object method, object path)

    cdef _use(self, object peer, object agent, object method, object path, object request_id, object forwarded)

    @cython.locals(place=Py_ssize_t, alike=Alike)
    cdef _shared(self, object peer, object agent, object method, object path)

cdef class Door:
    cdef public object _app
    cdef Reader _reader
    cdef object _look, _is_open

cpdef mark(object scope, object api_key)

cpdef _may_be_remembered(object peer, object agent, object method, object path)

cpdef _use_of(object address, object agent, object method, object path, object request_id)
