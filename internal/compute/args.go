package compute

// LayerNormArgs are the operands of LayerNorm.
type LayerNormArgs struct {
	Dst   Tensor // [N,C]
	Sum   Tensor // [N,C]; may be X
	Stats Tensor // [N,2] Exact; receives mean and 1/sqrt(var + eps) of each row of Sum as it is stored
	X     Tensor // [N,C]
	// Residual [N,C] may be absent. Then Sum must be absent and Drop zero, and X itself is normalised.
	Residual    Tensor
	Gamma, Beta Tensor // [C]
	Eps         float32
	Drop        Dropout // applied to X
}

// LayerNormGradArgs are the operands of LayerNormGrad. Any of the four gradients may be absent.
type LayerNormGradArgs struct {
	DX            Tensor // [N,C]; receives the gradient of X before dropout
	DResidual     Tensor // [N,C]; receives the gradient of Sum
	DGamma, DBeta Tensor // [C] Exact; the gradients of Gamma and Beta are added to them
	Sum           Tensor // [N,C], the tensor that was normalised
	Gamma         Tensor // [C]
	Stats         Tensor // [N,2] Exact, as LayerNorm wrote it
	DY            Tensor // [N,C], the gradient of Dst
	Drop          Dropout
}

// RMSNormArgs are the operands of RMSNorm.
type RMSNormArgs struct {
	Dst   Tensor // [N,C]
	RStd  Tensor // [N] Exact; receives 1/sqrt(mean(x^2) + eps) of each row
	X     Tensor // [N,C]
	Gamma Tensor // [C]
	Eps   float32
}

// RMSNormGradArgs are the operands of RMSNormGrad. Either gradient may be absent.
type RMSNormGradArgs struct {
	DX         Tensor // [N,C]; receives the gradient of X
	DGamma     Tensor // [C] Exact; the gradient of Gamma is added to it
	X          Tensor // [N,C]
	Gamma      Tensor // [C]
	RStd       Tensor // [N] Exact, as RMSNorm wrote it
	DY         Tensor // [N,C], the gradient of Dst
	Accumulate bool   // add the gradient of X to DX instead of overwriting DX
}

// AttentionGradArgs are the operands of AttentionGrad.
type AttentionGradArgs struct {
	DQ      Tensor // [NQ,H*D]; may be absent
	DK, DV  Tensor // [NK,HKV*D]
	Q, K, V Tensor // the operands of Attention
	Y, LSE  Tensor // the results dst and lse of Attention
	DY      Tensor // [NQ,H*D], the gradient of Y
	AttnOpts
}
