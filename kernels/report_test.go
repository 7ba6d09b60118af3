package kernels

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReport runs scripts/ptxas_report.awk on a log of ptxas and a disassembly, as they are and with one fault each.
func TestReport(t *testing.T) {
	awk, err := exec.LookPath("awk")
	if err != nil {
		t.Skip(err)
	}
	const log = `ptxas info    : Compiling entry function 'scale' for 'sm_90a'
ptxas info    : Function properties for scale
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 2048 bytes smem
`
	const sass = `	.section	.text.scale,"ax",@progbits
        /*0000*/                   LDG.E.128 R4, [R2] ;
        /*0010*/                   BRX R8 -0x20 ;
        /*0020*/                   ST.E.128 [R2], R4 ;
`
	const row = "scale,sm_90a,40,0,0,0,2048,1,0,1,0,0,1,1"
	const wgmma = "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized\n"
	for _, c := range []struct{ fault, log, sass, before, want string }{
		{"none", log, sass, row, ""},
		{"first report", log, sass, "", ""},
		{"spill", strings.Replace(log, "0 bytes spill stores", "16 bytes spill stores", 1), sass, row,
			"spills: scale,sm_90a: 16 bytes stored, 0 loaded"},
		{"stack", strings.Replace(log, "0 bytes stack", "64 bytes stack", 1), sass, row,
			"local memory: scale,sm_90a: 64 bytes"},
		{"local memory", log, sass + "        /*0030*/                   STL.64 [R1], R4 ;\n", row,
			"local memory: scale,sm_90a: 0 bytes, 1 instructions"},
		{"wgmma", log + wgmma, sass, row, "(C7510)"},
		{"warning", "ptxas warning : Registers are spilled\n" + log, sass, row, "ptxas warning"},
		{"branch", log, sass + "        /*0030*/                   BRX R8 -0x20 ;\n", row,
			"indirect branches: scale,sm_90a: 2; the report has 1"},
		{"generic", log, sass + "        /*0030*/                   LD.E R8, [R2] ;\n", row,
			"accesses of unknown address space: scale,sm_90a: 2; the report has 1"},
		{"no kernel", "", "", "", "no kernel in the logs"},
	} {
		t.Run("fault="+c.fault, func(t *testing.T) {
			dir := t.TempDir()
			files := map[string]string{"sm_90a/scale.log": c.log, "sm_90a/scale.sass": c.sass, "before.csv": c.before + "\n"}
			if err := os.Mkdir(filepath.Join(dir, "sm_90a"), 0o777); err != nil {
				t.Fatal(err)
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(awk, "-v", "before="+filepath.Join(dir, "before.csv"), "-f", "../scripts/ptxas_report.awk",
				filepath.Join(dir, "sm_90a/scale.log"), filepath.Join(dir, "sm_90a/scale.sass"))
			var errors strings.Builder
			cmd.Stderr = &errors
			out, err := cmd.Output()
			switch {
			case (err != nil) != (c.want != ""), !strings.Contains(errors.String(), c.want):
				t.Errorf("%v, %q; want %q", err, errors.String(), c.want)
			case c.want == "" && !strings.HasSuffix(string(out), row+"\n"):
				t.Errorf("report\n%s; want %s", out, row)
			}
		})
	}
}
