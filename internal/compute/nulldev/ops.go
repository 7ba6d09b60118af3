package nulldev

import "github.com/lor2c/lor2c/internal/compute"

type tensor = compute.Tensor

var _ compute.Device = (*Device)(nil)

// The methods below implement compute.Device by recording that they were called.

func (d *Device) Reserve(int64)                                          {}
func (d *Device) Upload(tensor, []float32)                               { d.op("Upload") }
func (d *Device) UploadNF4(tensor, []byte, []float32)                    { d.op("UploadNF4") }
func (d *Device) UploadInts(tensor, []int32)                             { d.op("UploadInts") }
func (d *Device) Download([]float32, tensor)                             { d.op("Download") }
func (d *Device) Err() error                                             { return nil }
func (d *Device) Sync() error                                            { return nil }
func (d *Device) Close() error                                           { return nil }
func (d *Device) Fill(tensor, float32)                                   { d.op("Fill") }
func (d *Device) Copy(_, _ tensor)                                       { d.op("Copy") }
func (d *Device) Axpy(tensor, float32, tensor)                           { d.op("Axpy") }
func (d *Device) Act(compute.Act, tensor, tensor)                        { d.op("Act") }
func (d *Device) ActGrad(compute.Act, tensor, tensor, tensor)            { d.op("ActGrad") }
func (d *Device) SwiGLU(_, _, _ tensor)                                  { d.op("SwiGLU") }
func (d *Device) SwiGLUGrad(_, _, _, _, _ tensor)                        { d.op("SwiGLUGrad") }
func (d *Device) Dropout(_, _ tensor, _ compute.Dropout)                 { d.op("Dropout") }
func (d *Device) SumAbs(_, _ tensor)                                     { d.op("SumAbs") }
func (d *Device) SumRows(_, _ tensor)                                    { d.op("SumRows") }
func (d *Device) Gather(_, _, _ tensor)                                  { d.op("Gather") }
func (d *Device) Scatter(_, _, _ tensor)                                 { d.op("Scatter") }
func (d *Device) Put(_, _, _ tensor)                                     { d.op("Put") }
func (d *Device) ArgMax(_, _ tensor)                                     { d.op("ArgMax") }
func (d *Device) Embed(_, _, _, _, _, _, _ tensor)                       { d.op("Embed") }
func (d *Device) EmbedGrad(_, _, _, _, _, _, _ tensor)                   { d.op("EmbedGrad") }
func (d *Device) Gemm(tensor, float32, tensor, bool, tensor, bool, bool) { d.op("Gemm") }
func (d *Device) Linear(_, _, _, _, _ tensor, _ compute.Act)             { d.op("Linear") }
func (d *Device) LowRankDown(_, _, _ tensor, _ compute.Dropout)          { d.op("LowRankDown") }
func (d *Device) LowRankUp(_, _, _ tensor, _ float32)                    { d.op("LowRankUp") }
func (d *Device) LowRankUpGrad(_, _, _, _, _ tensor, _ float32)          { d.op("LowRankUpGrad") }
func (d *Device) LowRankDownGrad(_, _, _, _, _ tensor, _ compute.Dropout, _ bool) {
	d.op("LowRankDownGrad")
}
func (d *Device) LayerNorm(compute.LayerNormArgs)                    { d.op("LayerNorm") }
func (d *Device) LayerNormGrad(compute.LayerNormGradArgs)            { d.op("LayerNormGrad") }
func (d *Device) RMSNorm(compute.RMSNormArgs)                        { d.op("RMSNorm") }
func (d *Device) RMSNormGrad(compute.RMSNormGradArgs)                { d.op("RMSNormGrad") }
func (d *Device) RoPE(_, _, _ tensor, _ bool)                        { d.op("RoPE") }
func (d *Device) Attention(_, _, _, _, _ tensor, _ compute.AttnOpts) { d.op("Attention") }
func (d *Device) AttentionGrad(compute.AttentionGradArgs)            { d.op("AttentionGrad") }
func (d *Device) CrossEntropy(_, _, _, _ tensor, _ float32, _ compute.CrossEntropyOpts) {
	d.op("CrossEntropy")
}
func (d *Device) BinaryCrossEntropy(_, _, _, _ tensor, _ float32)    { d.op("BinaryCrossEntropy") }
func (d *Device) MSE(_, _, _, _ tensor, _ float32)                   { d.op("MSE") }
func (d *Device) GradNorm(_, _, _ tensor, _ float32)                 { d.op("GradNorm") }
func (d *Device) AdamW(_, _, _, _, _, _ tensor, _ compute.AdamWOpts) { d.op("AdamW") }
