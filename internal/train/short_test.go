package train

import "testing"

// onlyLong skips a test or a case in a short run if further is true. It is for the cases
// of a table beyond the first few, which test the same code with other values, and for
// tests of many runs.
func onlyLong(t *testing.T, further bool) {
	t.Helper()
	if further && testing.Short() {
		t.Skip("-short runs fewer runs and cases")
	}
}
