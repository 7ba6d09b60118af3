package place

import "fmt"

// Count returns a number with a noun, which is given in singular and plural.
func Count(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}
