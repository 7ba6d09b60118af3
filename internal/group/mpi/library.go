//go:build (mpi || cuda) && linux && (amd64 || arm64)

package mpi

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Built reports whether this binary contains the engine.
const Built = true

// library is an MPI library that is loaded: the addresses of its functions, and what its mpi.h defines. In MPICH's
// family handles are integers. In Open MPI they are addresses of variables of the library.
type library struct {
	name string
	functions
	world, bytes, floats, sum, returnErrors uintptr
	statusIgnore, inPlace                   uintptr
}

// functions has the addresses of the functions of MPI that the engine calls.
type functions struct {
	initThread, finalize, abort                      uintptr
	commRank, commSize, commSetErrhandler, errorText uintptr
	isend, irecv, ibcast, iallreduce, ibarrier, test uintptr
}

// serialized is MPI_THREAD_SERIALIZED, in both families: any thread may call, but only one at a time.
const serialized = 2

// names returns the file names under which a library may be found, the most probable first.
func names(getenv func(string) string) []string {
	if name := getenv("LOR2C_LIBMPI"); name != "" {
		return []string{name}
	}
	openMPI, mpich := "libmpi.so.40", []string{"libmpi.so.12", "libmpich.so.12"}
	if getenv("PMI_RANK") != "" && getenv("OMPI_COMM_WORLD_RANK") == "" {
		return append(mpich, openMPI)
	}
	return append([]string{openMPI}, mpich...)
}

// load opens the first library that is found.
func load() (*library, error) {
	var faults []error
	for _, name := range names(os.Getenv) {
		handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		l := &library{name: name}
		if err := l.resolve(handle); err != nil {
			return nil, fmt.Errorf("mpi: open %s: %w; want Open MPI 3 or later, or a library with the binary interface of MPICH",
				name, err)
		}
		return l, nil
	}
	return nil, fmt.Errorf("mpi: open the library: %w; install Open MPI or MPICH, or name the library in LOR2C_LIBMPI",
		errors.Join(faults...))
}

// resolve finds the functions of the library and the handles of its family.
func (l *library) resolve(handle uintptr) error {
	for _, f := range []struct {
		at   *uintptr
		name string
	}{
		{&l.initThread, "Init_thread"}, {&l.finalize, "Finalize"}, {&l.abort, "Abort"}, {&l.commRank, "Comm_rank"},
		{&l.commSize, "Comm_size"}, {&l.commSetErrhandler, "Comm_set_errhandler"}, {&l.errorText, "Error_string"},
		{&l.isend, "Isend"}, {&l.irecv, "Irecv"}, {&l.ibcast, "Ibcast"}, {&l.iallreduce, "Iallreduce"},
		{&l.ibarrier, "Ibarrier"}, {&l.test, "Test"},
	} {
		address, err := purego.Dlsym(handle, "MPI_"+f.name)
		if err != nil {
			return err
		}
		*f.at = address
	}
	if _, err := purego.Dlsym(handle, "ompi_mpi_comm_world"); err != nil {
		l.world, l.bytes, l.floats, l.sum, l.returnErrors = 0x44000000, 0x4c00010d, 0x4c00040a, 0x58000003, 0x54000001
		l.statusIgnore, l.inPlace = 1, ^uintptr(0)
		return nil
	}
	l.statusIgnore, l.inPlace = 0, 1
	for _, v := range []struct {
		at   *uintptr
		name string
	}{
		{&l.world, "comm_world"}, {&l.bytes, "byte"}, {&l.floats, "float"}, {&l.sum, "op_sum"},
		{&l.returnErrors, "errors_return"},
	} {
		address, err := purego.Dlsym(handle, "ompi_mpi_"+v.name)
		if err != nil {
			return err
		}
		*v.at = address
	}
	return nil
}

// call calls a function of MPI and returns its error. Memory whose address is converted to uintptr in the arguments of
// call stays where it is until call returns.
//
//go:uintptrescapes
func (l *library) call(function uintptr, args ...uintptr) error {
	code, _, _ := purego.SyscallN(function, args...)
	if int32(code) == 0 {
		return nil
	}
	text, n := make([]byte, 1024), new(int32)
	purego.SyscallN(l.errorText, code, uintptr(unsafe.Pointer(unsafe.SliceData(text))), uintptr(unsafe.Pointer(n)))
	runtime.KeepAlive(text)
	return fmt.Errorf("%s reports the error %d, %s", l.name, int32(code),
		strings.TrimSpace(string(text[:min(max(int(*n), 0), len(text))])))
}
