package group_test

import (
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/group"
	"github.com/lor2c/lor2c/internal/place"
)

// TestReadWorld: the variables of every launcher are understood, an allocation of Slurm without srun is one process,
// and numbers that cannot be are mistakes that name the variable.
func TestReadWorld(t *testing.T) {
	for _, tt := range []struct {
		env        string
		rank, size int
		launcher   string
		mpi        bool
		fault      string
	}{
		{env: "", size: 1},
		{env: "OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=3", rank: 3, size: 4, launcher: "Open MPI", mpi: true},
		{env: "PMI_SIZE=2 PMI_RANK=0", size: 2, launcher: "PMI", mpi: true},
		{env: "SLURM_STEP_NUM_TASKS=8 SLURM_PROCID=7", rank: 7, size: 8, launcher: "srun", mpi: true},
		{env: "SLURM_NTASKS=8 SLURM_PROCID=0", size: 1},
		{env: "SLURM_STEP_NUM_TASKS=8 SLURM_PROCID=7 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=1", rank: 1, size: 2,
			launcher: "Open MPI", mpi: true},
		{env: "WORLD_SIZE=2 RANK=1 LOCAL_RANK=1", rank: 1, size: 2, launcher: "torchrun"},
		{env: "WORLD_SIZE=2", size: 1},
		{env: "WORLD_SIZE=two RANK=0", fault: `WORLD_SIZE is "two"; want the number of processes`},
		{env: "WORLD_SIZE=0 RANK=0", fault: `WORLD_SIZE is "0"; want the number of processes`},
		{env: "PMI_SIZE=2 PMI_RANK=2", fault: `PMI_RANK is "2"; want the number of this process, 0 to 1`},
		{env: "PMI_SIZE=2 PMI_RANK=-1", fault: `PMI_RANK is "-1"`},
	} {
		t.Run(tt.env, func(t *testing.T) {
			env := map[string]string{}
			for _, pair := range strings.Fields(tt.env) {
				name, value, _ := strings.Cut(pair, "=")
				env[name] = value
			}
			w, err := group.ReadWorld(func(name string) string { return env[name] })
			if tt.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fault) || !place.IsMistake(err) {
					t.Fatalf("error %v; want a mistake with %q", err, tt.fault)
				}
				return
			}
			if err != nil || w.Rank != tt.rank || w.Size != tt.size || w.MPI != tt.mpi ||
				!strings.Contains(w.Launcher, tt.launcher) {
				t.Errorf("world %+v, %v; want rank %d of %d of %q, mpi %t", w, err, tt.rank, tt.size, tt.launcher, tt.mpi)
			}
		})
	}
}
