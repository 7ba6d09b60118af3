#pragma once

// NO_LIBRARY is the status where no libcuda could be opened.
#define NO_LIBRARY (-1)

// culazy_status is what the driver's cuInit answered, or NO_LIBRARY.
int culazy_status(void);
// culazy_fault says why no libcuda could be opened.
const char *culazy_fault(void);
// culazy_absent is the i-th entry point that the driver lacks, or NULL.
const char *culazy_absent(int i);
