package sgemm

//go:generate sh -c "cd asm && go run . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg sgemm"
//go:generate sh -c "cd asm && go run . -panels -out ../panels_amd64.s -stubs ../panels_amd64.go -pkg sgemm"
//go:generate sh -c "cd asm && go run ./amx -out ../tiles_kernels_amd64.s -stubs ../tiles_kernels_amd64.go -pkg sgemm"
