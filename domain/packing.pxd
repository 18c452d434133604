cimport cython

@cython.locals(
    numbers=dict, numbers_of=dict, column="long long[::1]", place=Py_ssize_t,
    since=list, kinds=list, addresses=list, agents=list, methods=list, paths=list, request_ids=list,
    moment=cython.longlong, before=cython.longlong, outcome=object,
    address=object, agent=object, method=object, path=object, request_id=object,
)
cpdef tuple pack(object moments, list outcomes, list uses, object start)

cpdef tuple shortest(list values)
