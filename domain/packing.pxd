cimport cython

@cython.locals(
    numbers=dict, numbers_of=dict, rows=list, column="long long[::1]", place=Py_ssize_t,
    moment=cython.longlong, before=cython.longlong, outcome=object,
    address=object, agent=object, method=object, path=object, request_id=object,
)
cpdef tuple pack(object moments, list outcomes, list uses, object start)
