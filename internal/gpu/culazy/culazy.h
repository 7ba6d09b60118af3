#pragma once

// NO_LIBRARY is the status if no libcuda could be opened.
#define NO_LIBRARY (-1)

// culazy_status opens and initializes the driver, unless an earlier call has
// done so. It returns the result of the driver's cuInit, or NO_LIBRARY. The
// other functions do the same first.
int culazy_status(void);
// culazy_fault returns the reason why no libcuda could be opened.
const char *culazy_fault(void);
// culazy_absent returns the name of the i-th entry point that the driver lacks,
// or NULL.
const char *culazy_absent(int i);
