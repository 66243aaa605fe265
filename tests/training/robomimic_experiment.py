"""A robomimic config with every key that robomimic 0.5's template of `bc` has, on files as `write_robomimic` writes."""

import copy
import json
from pathlib import Path
from typing import Any

LOW_DIM = ["robot0_eef_pos", "robot0/joint_pos", "object"]
"""What the files of `write_robomimic` have; 3 + 6 + 10 entries."""

_VISUAL_CORE: dict[str, Any] = {
    "core_class": "VisualCore",
    "core_kwargs": {
        "feature_dimension": 64,
        "flatten": True,
        "backbone_class": "ResNet18Conv",
        "backbone_kwargs": {"pretrained": False, "input_coord_conv": False},
        "pool_class": "SpatialSoftmax",
        "pool_kwargs": {
            "num_kp": 32,
            "learnable_temperature": False,
            "temperature": 1.0,
            "noise_std": 0.0,
            "output_variance": False,
        },
    },
    "obs_randomizer_class": None,
    "obs_randomizer_kwargs": {"crop_height": 76, "crop_width": 76, "num_crops": 1, "pos_enc": False},
}
_CONVOLUTION = {"out_channels": [32, 64, 64], "kernel_size": [8, 4, 2], "stride": [4, 2, 1]}

TEMPLATE: dict[str, Any] = {
    "algo_name": "bc",
    "experiment": {
        "name": "test",
        "validate": False,
        "logging": {"terminal_output_to_txt": True, "log_tb": True, "log_wandb": False, "wandb_proj_name": "debug"},
        "mse": {"enabled": False, "every_n_epochs": 50, "on_save_ckpt": True, "num_samples": 20, "visualize": True},
        "save": {
            "enabled": True,
            "every_n_seconds": None,
            "every_n_epochs": 50,
            "epochs": [],
            "on_best_validation": False,
            "on_best_rollout_return": False,
            "on_best_rollout_success_rate": True,
        },
        "epoch_every_n_steps": 100,
        "validation_epoch_every_n_steps": 10,
        "env": None,
        "additional_envs": None,
        "render": False,
        "render_video": True,
        "keep_all_videos": False,
        "video_skip": 5,
        "rollout": {
            "enabled": True,
            "n": 50,
            "horizon": 400,
            "rate": 50,
            "warmstart": 0,
            "terminate_on_success": True,
            "batched": False,
            "num_batch_envs": 5,
        },
        "env_meta_update_dict": {},
        "ckpt_path": None,
    },
    "train": {
        "data": None,
        "normalize_weights_by_ds_size": False,
        "output_dir": "../bc_trained_models",
        "num_data_workers": 0,
        "hdf5_cache_mode": "low_dim",
        "hdf5_use_swmr": True,
        "hdf5_load_next_obs": False,
        "hdf5_normalize_obs": False,
        "hdf5_filter_key": None,
        "hdf5_validation_filter_key": None,
        "seq_length": 1,
        "pad_seq_length": True,
        "frame_stack": 1,
        "pad_frame_stack": True,
        "dataset_keys": ["actions", "rewards", "dones"],
        "action_keys": ["actions"],
        "action_config": {"actions": {"normalization": None, "rot_conversion": None}},
        "goal_mode": None,
        "cuda": True,
        "batch_size": 100,
        "num_epochs": 2000,
        "seed": 1,
        "max_grad_norm": None,
        "data_format": "robomimic",
        "shuffled_obs_key_groups": None,
    },
    "algo": {
        "optim_params": {
            "policy": {
                "optimizer_type": "adam",
                "learning_rate": {
                    "initial": 0.0001,
                    "decay_factor": 0.1,
                    "epoch_schedule": [],
                    "scheduler_type": "multistep",
                },
                "regularization": {"L2": 0.0},
            }
        },
        "loss": {"l2_weight": 1.0, "l1_weight": 0.0, "cos_weight": 0.0},
        "actor_layer_dims": [1024, 1024],
        "gaussian": {
            "enabled": False,
            "fixed_std": False,
            "init_std": 0.1,
            "min_std": 0.01,
            "std_activation": "softplus",
            "low_noise_eval": True,
        },
        "gmm": {
            "enabled": False,
            "num_modes": 5,
            "min_std": 0.0001,
            "std_activation": "softplus",
            "low_noise_eval": True,
        },
        "vae": {
            "enabled": False,
            "latent_dim": 14,
            "latent_clip": None,
            "kl_weight": 1.0,
            "decoder": {"is_conditioned": True, "reconstruction_sum_across_elements": False},
            "prior": {
                "learn": False,
                "is_conditioned": False,
                "use_gmm": False,
                "gmm_num_modes": 10,
                "gmm_learn_weights": False,
                "use_categorical": False,
                "categorical_dim": 10,
                "categorical_gumbel_softmax_hard": False,
                "categorical_init_temp": 1.0,
                "categorical_temp_anneal_step": 0.001,
                "categorical_min_temp": 0.3,
            },
            "encoder_layer_dims": [300, 400],
            "decoder_layer_dims": [300, 400],
            "prior_layer_dims": [300, 400],
        },
        "rnn": {
            "enabled": False,
            "horizon": 10,
            "hidden_dim": 400,
            "rnn_type": "LSTM",
            "num_layers": 2,
            "open_loop": False,
            "kwargs": {"bidirectional": False},
        },
        "transformer": {
            "enabled": False,
            "context_length": 10,
            "embed_dim": 512,
            "num_layers": 6,
            "num_heads": 8,
            "emb_dropout": 0.1,
            "attn_dropout": 0.1,
            "block_output_dropout": 0.1,
            "sinusoidal_embedding": False,
            "activation": "gelu",
            "supervise_all_steps": False,
            "nn_parameter_for_timesteps": True,
            "pred_future_acs": False,
            "causal": True,
        },
    },
    "observation": {
        "modalities": {
            "obs": {"low_dim": LOW_DIM, "rgb": [], "depth": [], "scan": []},
            "goal": {"low_dim": [], "rgb": [], "depth": [], "scan": []},
        },
        "encoder": {
            "low_dim": {
                "core_class": None,
                "core_kwargs": {},
                "obs_randomizer_class": None,
                "obs_randomizer_kwargs": {},
            },
            "rgb": _VISUAL_CORE,
            "depth": _VISUAL_CORE,
            "scan": _VISUAL_CORE
            | {
                "core_class": "ScanCore",
                "core_kwargs": {
                    "feature_dimension": 64,
                    "flatten": True,
                    "pool_class": "SpatialSoftmax",
                    "pool_kwargs": _VISUAL_CORE["core_kwargs"]["pool_kwargs"],
                    "conv_activation": "relu",
                    "conv_kwargs": _CONVOLUTION,
                },
            },
        },
    },
    "meta": {"hp_base_config_file": None, "hp_keys": [], "hp_values": []},
}

UNUSED_OF_TEMPLATE = {
    "experiment.logging.terminal_output_to_txt",
    "experiment.logging.log_tb",
    "experiment.mse.*",
    "experiment.validation_epoch_every_n_steps",
    "experiment.render_video",
    "experiment.keep_all_videos",
    "experiment.video_skip",
    "experiment.rollout.num_batch_envs",
    "train.hdf5_cache_mode",
    "train.hdf5_use_swmr",
    "train.hdf5_load_next_obs",
    "train.dataset_keys",
    "algo.gaussian.* (off)",
    "algo.gmm.* (off)",
    "algo.vae.* (off)",
    "algo.rnn.* (off)",
    "algo.transformer.* (off)",
    "observation.encoder.rgb.*",
    "observation.encoder.depth.*",
    "observation.encoder.scan.*",
    "meta.*",
}
"""What of the template has no effect, or asks for nothing that robomix does."""


def changed(template: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of `template` with the values at dotted places set."""
    config = copy.deepcopy(template)
    for place, value in changes.items():
        *blocks, name = place.split(".")
        block = config
        for inner in blocks:
            block = block.setdefault(inner, {})
        block[name] = value
    return config


def write_config(path: Path, data: Any, changes: dict[str, Any] | None = None) -> str:
    """The template on `data`, without rollouts, as a file; `changes` by dotted places win."""
    quiet = {"train.data": data, "experiment.rollout.enabled": False, "train.output_dir": str(path.parent / "runs")}
    path.write_text(json.dumps(changed(TEMPLATE, quiet | (changes or {})), indent=4))
    return str(path)
