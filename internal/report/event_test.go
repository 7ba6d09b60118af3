package report

import "testing"

// TestCompared: the sentence about the other candidates has the right form for none, one and several of each kind, and
// leaves out what there is none of.
func TestCompared(t *testing.T) {
	for _, x := range []struct {
		others, lower, alike int
		want                 string
	}{
		{0, 0, 0, ""},
		{1, 1, 0, " The other candidate would give a lower loss, by more than the standard error of the difference."},
		{1, 0, 0, " The other candidate would give a higher loss, by more than the standard error of the difference."},
		{1, 0, 1, " The other candidate cannot be told apart from the chosen one."},
		{3, 3, 0, " Each of the other 3 candidates would give a lower loss, by more than the standard error of the " +
			"difference."},
		{3, 0, 0, " Each of the other 3 candidates would give a higher loss, by more than the standard error of the " +
			"difference."},
		{2, 0, 2, " None of the other 2 candidates can be told apart from the chosen one."},
		{2, 0, 1, " Of the other 2 candidates, 1 would give a higher loss, by more than the standard error of the " +
			"difference, and 1 cannot be told apart from the chosen one."},
		{2, 1, 1, " Of the other 2 candidates, 1 would give a lower loss, by more than the standard error of the " +
			"difference, and 1 cannot be told apart from the chosen one."},
		{2, 1, 0, " Of the other 2 candidates, 1 would give a lower loss and 1 a higher one, by more than the standard " +
			"error of the difference."},
		{9, 2, 3, " Of the other 9 candidates, 2 would give a lower loss and 4 a higher one, by more than the standard " +
			"error of the difference, and 3 cannot be told apart from the chosen one."},
	} {
		if got := compared(x.others, x.lower, x.alike); got != x.want {
			t.Errorf("%d others, %d lower, %d alike:\n%s\nwant\n%s", x.others, x.lower, x.alike, got, x.want)
		}
	}
}
