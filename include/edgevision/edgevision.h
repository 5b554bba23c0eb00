/* SPDX-License-Identifier: MIT */
/**
 * @file edgevision/edgevision.h
 * All of the library.  Tiers, each using only lower ones: 0 base, tensor; 1 image, dataset, model,
 * session; 2 train, prune, zoo, domain; 3 cyclegan.
 */
#ifndef EDGEVISION_EDGEVISION_H
#define EDGEVISION_EDGEVISION_H

#include <edgevision/base.h>
#include <edgevision/cyclegan.h>
#include <edgevision/dataset.h>
#include <edgevision/domain.h>
#include <edgevision/image.h>
#include <edgevision/model.h>
#include <edgevision/prune.h>
#include <edgevision/session.h>
#include <edgevision/tensor.h>
#include <edgevision/train.h>
#include <edgevision/zoo.h>

#endif /* EDGEVISION_EDGEVISION_H */
