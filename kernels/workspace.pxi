# The workspace of kernels/workspace.h as a handler of NumPy's memory.

from contextvars import ContextVar

from cpython.pycapsule cimport PyCapsule_Destructor, PyCapsule_GetPointer, PyCapsule_New
from libc.stdlib cimport calloc
from libc.string cimport strcpy

cdef extern from "workspace.h":
    struct workspace:
        int closed, hoards
        size_t bytes
    void *workspace_malloc(void *context, size_t bytes) noexcept
    void *workspace_calloc(void *context, size_t n, size_t bytes) noexcept
    void *workspace_realloc(void *context, void *p, size_t bytes) noexcept
    void workspace_free(void *context, void *p, size_t bytes) noexcept
    void workspace_release(workspace *w) noexcept
    void workspace_close(workspace *w) noexcept

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyDataMemAllocator:
        void *ctx
        void *(*malloc)(void *, size_t) noexcept
        void *(*calloc)(void *, size_t, size_t) noexcept
        void *(*realloc)(void *, void *, size_t) noexcept
        void (*free)(void *, void *, size_t) noexcept
    ctypedef struct PyDataMem_Handler:
        char name[127]
        unsigned char version
        PyDataMemAllocator allocator
    object PyDataMem_SetHandler(object handler)
    object PyDataMem_GetHandler()


cdef void forget(object capsule) noexcept:
    """The last array is gone, and so is the workspace."""
    cdef PyDataMem_Handler *handler
    handler = <PyDataMem_Handler *>PyCapsule_GetPointer(capsule, "mem_handler")
    workspace_close(<workspace *>handler.allocator.ctx)
    free(handler.allocator.ctx)
    free(handler)


cdef object new_handler(bint hoards):
    cdef PyDataMem_Handler *handler = <PyDataMem_Handler *>calloc(1, sizeof(PyDataMem_Handler))
    cdef workspace *w = <workspace *>calloc(1, sizeof(workspace))
    if handler == NULL or w == NULL:
        free(handler)
        free(w)
        raise MemoryError("Workspace: no memory")
    w.hoards = hoards
    strcpy(handler.name, b"minienc workspace")
    handler.version = 1
    handler.allocator.ctx = w
    handler.allocator.malloc = workspace_malloc
    handler.allocator.calloc = workspace_calloc
    handler.allocator.realloc = workspace_realloc
    handler.allocator.free = workspace_free
    return PyCapsule_New(handler, "mem_handler", <PyCapsule_Destructor>forget)


# The handlers that the workspaces entered have put aside, innermost last: of each thread its own,
# as NumPy's current handler is.
handlers_before = ContextVar("handlers_before", default=())


cdef class Workspace:
    """Within ``with workspace:``, NumPy's new arrays take the memory of those that are gone.

    It may be entered again and again, within itself and by several threads; what nobody uses is
    given back when it is dropped, or where new memory would make it more than twice what was ever
    in use at once.

    Parameters
    ----------
    hoards : bool
        Give nothing back before: a plan goes on writing where arrays have been.
    """

    cdef object handler

    def __cinit__(self, bint hoards=False):
        self.handler = new_handler(hoards)

    def __enter__(self):
        handlers_before.set((*handlers_before.get(), PyDataMem_SetHandler(self.handler)))
        return self

    def __exit__(self, *error):
        before = handlers_before.get()
        if before:  # it is not where a generator is closed by another thread than it ran in
            PyDataMem_SetHandler(before[len(before) - 1])
            handlers_before.set(before[:len(before) - 1])

    @property
    def nbytes(self):
        """Bytes of memory that came from here: of arrays that are there, and kept for others."""
        cdef PyDataMem_Handler *handler
        handler = <PyDataMem_Handler *>PyCapsule_GetPointer(self.handler, "mem_handler")
        return (<workspace *>handler.allocator.ctx).bytes

    def __dealloc__(self):
        cdef PyDataMem_Handler *handler
        handler = <PyDataMem_Handler *>PyCapsule_GetPointer(self.handler, "mem_handler")
        workspace_close(<workspace *>handler.allocator.ctx)


def release_workspace():
    """Give back what the workspace keeps that this thread is in, if it is in one."""
    cdef PyDataMem_Handler *handler
    cdef object current = PyDataMem_GetHandler()
    handler = <PyDataMem_Handler *>PyCapsule_GetPointer(current, "mem_handler")
    if handler.allocator.malloc == workspace_malloc:
        workspace_release(<workspace *>handler.allocator.ctx)
