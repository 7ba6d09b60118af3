//go:build !unix

package main

import "os"

// warnings is empty where there is no SIGUSR1.
var warnings []os.Signal
