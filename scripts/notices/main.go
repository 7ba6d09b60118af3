// Command notices writes NOTICE and THIRD_PARTY_LICENSES, which list the code
// and data of others in a release of lor2c and their licences. Run it from the
// root of the repository with `make notices`. Its test fails if a file is out
// of date.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	files, err := Generate(".")
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(name, text, 0o666); err != nil {
			return err
		}
	}
	return nil
}
