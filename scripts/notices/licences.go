package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// accepted lists the licences, by SPDX identifier, that a release may contain.
// All of them allow a binary under Apache-2.0 that includes their texts.
var accepted = []string{
	"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "FTL", "MIT", "OFL-1.1", "Unlicense",
}

// known has the licences of files that are not the plain text of one licence,
// by module and file, each with a reason. An empty licence means that the file
// does not apply to anything that is linked.
var known = map[string]string{
	// The file offers a choice of two licences; lor2c uses this one.
	"github.com/golang/freetype LICENSE": "",
	// The file has the Apache licence, followed by those of C++ and Python parts
	// of Arrow, which the Go module does not contain.
	"github.com/apache/arrow/go/arrow LICENSE.txt": "Apache-2.0",
	// The file is one sentence that names the licence.
	"github.com/ajstarks/svgo LICENSE-link.txt": "CC-BY-4.0",
	// The file names the authors and repeats the head of the Apache licence that
	// applies to their part.
	"go.yaml.in/yaml/v3 NOTICE": "Apache-2.0",
	// The file offers a choice of this licence and the GPL.
	"kernel.org/pub/linux/libs/security/libcap/psx License": "BSD-3-Clause",
	// The file names the copyright holder; the licence is beside it.
	"github.com/elastic/go-seccomp-bpf NOTICE.txt": "",
	// The files name the authors and the components; the licences are beside them or in modules of their own.
	"github.com/prometheus/client_golang NOTICE": "",
	"github.com/prometheus/client_model NOTICE":  "",
	"github.com/prometheus/common NOTICE":        "",
	"github.com/prometheus/procfs NOTICE":        "",
	// These files grant patents in addition to the BSD licence.
	"golang.org/x/exp PATENTS":           "",
	"golang.org/x/image PATENTS":         "",
	"golang.org/x/net PATENTS":           "",
	"golang.org/x/sys PATENTS":           "",
	"golang.org/x/term PATENTS":          "",
	"golang.org/x/text PATENTS":          "",
	"golang.org/x/xerrors PATENTS":       "",
	"google.golang.org/protobuf PATENTS": "",
}

// bundled lists licence files of a module that are neither in the directory of
// a package nor above it.
var bundled = map[string][]string{
	"github.com/golang/freetype": {"licenses/ftl.txt"},
	"gonum.org/v1/gonum":         {"THIRD_PARTY_LICENSES/Cephes-LICENSE", "THIRD_PARTY_LICENSES/Go-LICENSE"},
}

// coverage is the smallest share of a file, in percent, that must be the text
// of known licences. The rest is copyright lines and headings.
const coverage = 75

// licences returns the SPDX identifiers of a module's licence files, sorted. A
// file that is not recognised, or that has a licence which is not accepted, is
// an error.
func (m *module) licences() ([]string, error) {
	if len(m.files) == 0 {
		return nil, fmt.Errorf("notices: %s %s: no licence file in %s", m.Path, m.Version, m.Dir)
	}
	var all []string
	for _, name := range m.files {
		text, err := os.ReadFile(filepath.Join(m.Dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		found, err := identify(m.Path, name, text)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 0 {
		return nil, fmt.Errorf("notices: %s %s: %s do not contain a licence", m.Path, m.Version, strings.Join(m.files, ", "))
	}
	return all, nil
}

// identify returns the licences in the text of one file of a module.
func identify(path, name string, text []byte) ([]string, error) {
	if id, ok := known[path+" "+name]; ok {
		if id == "" {
			return nil, nil
		}
		return []string{id}, nil
	}
	scan := licensecheck.Scan(text)
	if scan.Percent < coverage {
		return nil, fmt.Errorf("notices: %s: %s: %.0f %% of it is the text of a known licence; want %d %%, or an entry "+
			"in `known`",
			path, name, scan.Percent, coverage)
	}
	var ids []string
	for _, match := range scan.Match {
		if !slices.Contains(accepted, match.ID) {
			return nil, fmt.Errorf("notices: %s: %s: licence %s is not in the list of accepted ones: %s",
				path, name, match.ID, strings.Join(accepted, ", "))
		}
		ids = append(ids, match.ID)
	}
	return ids, nil
}
