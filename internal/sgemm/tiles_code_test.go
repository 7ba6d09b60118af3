package sgemm

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestTileCode disassembles the instructions that are written as bytes, and compares them with their mnemonics.
func TestTileCode(t *testing.T) {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("objdump of GNU binutils is not installed")
	}
	source, err := os.ReadFile("tiles_kernels_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	var code []byte
	var want []string
	for line := range strings.Lines(string(source)) {
		words := strings.Fields(line)
		switch {
		case len(words) < 2:
		case words[0] == "//" && strings.HasPrefix(line, "\t"):
			want = append(want, strings.Join(words[1:], " "))
		case words[0] == "LONG" || words[0] == "BYTE":
			v, err := strconv.ParseUint(strings.TrimPrefix(words[1], "$"), 0, 32)
			if err != nil {
				t.Fatal(err)
			}
			if words[0] == "BYTE" {
				code = append(code, byte(v))
			} else {
				code = binary.LittleEndian.AppendUint32(code, uint32(v))
			}
		}
	}
	file := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "-w", file).Output()
	if err != nil {
		t.Skipf("objdump cannot disassemble x86: %v", err)
	}
	if !strings.Contains(string(out), "tilerelease") {
		t.Skip("this objdump does not know the tile unit")
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^ +[0-9a-f]+:\t[0-9a-f ]+\t(.*)$`).FindAllStringSubmatch(string(out), -1) {
		got = append(got, strings.Join(strings.Fields(m[1]), " "))
	}
	if len(got) != len(want) || len(want) < 100 {
		t.Fatalf("%d instructions, %d mnemonics; want the same number, over 100", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("instruction %d is %q; its mnemonic is %q", i, got[i], want[i])
		}
	}
}
