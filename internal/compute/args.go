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
	// DBias [K,H] Exact may be absent; the gradient of Bias, which must be present then, is added to it.
	DBias Tensor
	AttnOpts
}

// BlockRows is the number of keys in a block of AttnOpts.Table.
const BlockRows = 64

// AttnOpts describes one attention call over packed rows.
type AttnOpts struct {
	Heads, KVHeads, HeadDim int
	// CuQ and CuK are cu_seqlens [B+1] Int of the query rows and of the key rows. They are the same tensor unless
	// only some rows of a layer are needed, as in the last layer before a classification head.
	CuQ, CuK   Tensor
	MaxQ, MaxK int // longest sequence among the query rows, and the key rows
	// Table [B,W] Int, if it is present, says where keys and values are. k and v [P*BlockRows, HKV*D] are then P blocks,
	// and key j of sequence s is row j%BlockRows of block Table[s, j/BlockRows]. CuK gives the number of keys of each
	// sequence. There is no gradient (Kwon et al. 2023, arXiv:2309.06180).
	Table  Tensor
	Causal bool    // query i of a sequence sees keys j <= i + (TK - TQ)
	Scale  float32 // of the scores, above 0
	// Bias [K,H], if it is present, is added to the scaled scores (Raffel et al. 2020, arXiv:1910.10683, section 2.1).
	// Query i and key j of a sequence, both counted from 0, get row Buckets[P-1+j-i]. Buckets [2P-1] Int has numbers below
	// K for all distances below P, which is at least MaxQ and MaxK. K is at most [MaxBuckets], and KVHeads is Heads.
	Bias, Buckets Tensor
	// Dropout is applied to the probabilities. For query row n, head h and key j of the sequence, the mask element is
	// in row (Dropout.Row + n)*Heads + h and column j.
	Dropout Dropout
}

// MaxBuckets is the largest number of rows of a bias of attention.
const MaxBuckets = 32

// CrossEntropyOpts has the weights of a cross-entropy. The zero value gives the plain negative log-likelihood.
type CrossEntropyOpts struct {
	// Rows [B] Exact has a factor for the loss of each row. If it is absent the factors are 1.
	Rows Tensor
	// Classes [C] Exact has a factor for the loss of each class. If it is absent the factors are 1.
	Classes Tensor
	// Smoothing is the share of the target that is spread evenly over all
	// classes, 0 to 1 (Szegedy et al. 2016, arXiv:1512.00567, section 7).
	Smoothing float32
}

// AdamWOpts are the scalars of one update (Loshchilov and Hutter 2019,
// arXiv:1711.05101, algorithm 2).
type AdamWOpts struct {
	LR, Beta1, Beta2, Eps, WeightDecay float64
	Step                               int // from 1
}
