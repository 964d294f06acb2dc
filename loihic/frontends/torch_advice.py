"""What to do about operators of PyTorch that have no counterpart on the chip."""

from __future__ import annotations

_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (("gelu", "silu", "mish", "elu", "celu", "selu", "softplus", "hardswish", "softsign", "threshold"),
     "train with ReLU, ReLU6, LeakyReLU, Hardtanh, Sigmoid, Tanh or Hardsigmoid"),
    (("scaled_dot_product_attention", "bmm", "baddbmm", "einsum", "_scaled_dot_product_flash_attention_for_cpu",
      "multi_head_attention_forward"),
     "attention multiplies tensors that both depend on the input; the chip multiplies by constants only"),
    (("layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "instance_norm", "rms_norm", "var",
      "std", "var_mean", "linalg_vector_norm"),
     "statistics of each sample are not computed; normalise with BatchNorm"),
    (("lstm", "gru", "rnn_tanh", "rnn_relu"), "recurrent networks are read from NIR"),
    (("embedding", "gather", "scatter", "where", "index_put", "copy_", "masked_fill", "topk", "sort", "nonzero"),
     "what is chosen by data is not computed; leave it to the host"),
    (("conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "max_pool3d", "avg_pool3d"),
     "convolve and pool over one or two dimensions; enlarge with nn.Upsample"),
    (("choose_qparams", "choose_qparams_affine", "choose_qparams_symmetric", "_fused_moving_avg_obs_fq_helper",
      "fused_moving_avg_obs_fake_quant", "choose_qparams_per_token_asymmetric", "fake_quantize_per_tensor_affine",
      "fake_quantize_per_channel_affine"),
     "scales must be constants: quantise statically, and convert with convert_pt2e before the export"),
    (("round", "out_dtype"), "convert with convert_pt2e and without use_reference_representation"),
    (("quantize_per_tensor", "quantize_per_channel", "dequantize"),
     "quantise with torchao.quantization.pt2e instead of eager or FX mode"),
    (("wrap_with_set_grad_enabled", "wrap_with_autocast"), "leave torch.no_grad and torch.autocast out of the model"),
    (("cond", "while_loop", "map_impl", "scan"), "control flow is not computed; export the one branch that is wanted"),
)


def advice(target: str) -> str:
    """One line for an operator such as ``aten.gelu.default``; empty if there is nothing to say."""
    parts = target.split(".")
    if parts[0] == "quantized":
        return "quantise with torchao.quantization.pt2e instead of eager or FX mode"
    name = parts[1] if len(parts) > 1 else target
    for names, text in _ADVICE:
        if name in names or name.removesuffix("_") in names:
            return text
    return ""
