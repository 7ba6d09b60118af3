//go:build !unix

package main

import "os"

// warnings is empty on systems without SIGUSR1.
var warnings []os.Signal
